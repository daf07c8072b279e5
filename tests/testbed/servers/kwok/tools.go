//go:build tools

// Package tools names the programs that the testbed builds, so that `go mod tidy` keeps them.
package tools

import (
	_ "sigs.k8s.io/kwok/cmd/kwok"
)
