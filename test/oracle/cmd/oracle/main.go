// Oracle answers, with the code of the real kubelet, what a kubelet makes of a pod.
//
//	oracle decode DIR NODE          what the file source delivers from a manifest directory, and what it refuses
//	oracle env < BUNDLE             each container's environment, command, mounts and ports, for pods of the API
//	oracle copies DIR < BUNDLE      the same for the static pods in a manifest directory, with no apiserver
//	oracle volumes DIR < BUNDLE     what the volume plugins put on disk, written under DIR (root; own mount namespace)
//	oracle yaml < BUNDLE            the objects as kubectl prints YAML, one document each
//	oracle hasref FILE              which API object a pod refers to, by the kubelet's own rule
//
// All the others print JSON. A bundle is {node, gates[], objects[], tokens[], podIP}; see bundle.go.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"syscall"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
)

func main() {
	// The kubelet runs with systemd's umask; directories inside a volume depend on it.
	syscall.Umask(0o022)
	klog.SetLogger(logr.Discard())
	answer, err := run(os.Args[1:])
	if text, ok := answer.(yamlText); ok {
		_, err = os.Stdout.WriteString(string(text))
	} else if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(answer)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
}

func run(args []string) (any, error) {
	command := ""
	if len(args) > 0 {
		command = args[0]
	}
	switch {
	case command == "decode" && len(args) == 3:
		return decode(args[1], args[2])
	case command == "env" && len(args) == 1:
		return environments(os.Stdin)
	case command == "copies" && len(args) == 2:
		return copies(args[1], os.Stdin)
	case command == "volumes" && len(args) == 2:
		return volumes(args[1], os.Stdin)
	case command == "yaml" && len(args) == 1:
		return yamlDocuments(os.Stdin)
	case command == "hasref" && len(args) == 2:
		return hasReference(args[1])
	}
	return nil, fmt.Errorf("usage: oracle decode DIR NODE | env | copies DIR | volumes DIR | yaml | hasref FILE")
}
