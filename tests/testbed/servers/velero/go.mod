// Velero's own CustomResourceDefinitions, read from its module: see ../../setup.
module holdfast.dev/testbed/velero

go 1.26.0

require github.com/vmware-tanzu/velero v1.18.3
