//go:build tools

// Package tools names the programs that the testbed builds, so that `go mod tidy` keeps them.
package tools

import (
	_ "github.com/vmware-tanzu/velero/cmd/velero"
)
