// Go accepts functions without a body (see kubelet.go) only in a package that has an assembly file.
