// A registry as released, with what a node of these tests uses of it: files for storage, a password file for access.
package main

import (
	"github.com/distribution/distribution/v3/registry"
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
)

func main() {
	// Its error is printed by the command itself.
	_ = registry.RootCmd.Execute()
}
