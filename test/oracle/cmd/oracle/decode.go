package main

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"sort"
	"sync"
	"time"

	"github.com/go-logr/logr"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/kubelet/config"
	kubetypes "k8s.io/kubernetes/pkg/kubelet/types"
)

// decoded is what a kubelet's file source makes of a manifest directory.
type decoded struct {
	Pods []*v1.Pod `json:"pods"`
	// Refused has the logged reason for each file, by base name.
	Refused map[string]string `json:"refused"`
}

func decode(dir, node string) (*decoded, error) {
	sink := &errorSink{refused: map[string]string{}}
	logger := logr.New(sink)
	ctx, cancel := context.WithCancel(klog.NewContext(context.Background(), logger))
	defer cancel()
	pods := config.NewPodConfig(&record.FakeRecorder{}, noObserver{})
	config.NewSourceFile(logger, dir, types.NodeName(node), time.Hour, pods.Channel(ctx, kubetypes.FileSource))
	result := &decoded{Pods: []*v1.Pod{}}
	select {
	case update := <-pods.Updates():
		result.Pods = append(result.Pods, update.Pods...)
	case <-time.After(time.Minute):
		return nil, errors.New("the file source delivered nothing")
	}
	sort.Slice(result.Pods, func(i, j int) bool {
		return key(result.Pods[i].Namespace, result.Pods[i].Name) < key(result.Pods[j].Namespace, result.Pods[j].Name)
	})
	sink.lock.Lock()
	defer sink.lock.Unlock()
	result.Refused = sink.refused
	return result, nil
}

// copiesView is what a kubelet with no apiserver makes of a manifest directory.
type copiesView struct {
	Refused map[string]string `json:"refused"`
	Pods    any               `json:"pods"`
}

// copies knows the node and nothing else: no Secret, ConfigMap or Service reaches a kubelet without an apiserver.
func copies(dir string, reader io.Reader) (any, error) {
	b, err := readBundle(reader)
	if err != nil {
		return nil, err
	}
	b.secrets, b.configMaps, b.services, b.claims, b.volumes, b.Tokens = nil, nil, nil, nil, nil, nil
	found, err := decode(dir, b.Node)
	if err != nil {
		return nil, err
	}
	views, err := b.view(found.Pods)
	return copiesView{Refused: found.Refused, Pods: views}, err
}

type noObserver struct{}

func (noObserver) ObservedPodOnWatch(klog.Logger, *v1.Pod, time.Time) {}

// errorSink keeps the errors that the file source logs about a file: a kubelet reports them nowhere else.
type errorSink struct {
	lock    sync.Mutex
	refused map[string]string
}

func (*errorSink) Init(logr.RuntimeInfo)               {}
func (*errorSink) Enabled(int) bool                    { return false }
func (*errorSink) Info(int, string, ...any)            {}
func (sink *errorSink) WithValues(...any) logr.LogSink { return sink }
func (sink *errorSink) WithName(string) logr.LogSink   { return sink }
func (sink *errorSink) Error(err error, message string, values ...any) {
	sink.lock.Lock()
	defer sink.lock.Unlock()
	path := "?"
	for index := 0; index+1 < len(values); index += 2 {
		if text, ok := values[index+1].(string); ok && values[index] == "path" {
			path = filepath.Base(text)
		}
	}
	reason := message
	if err != nil {
		reason = err.Error()
	}
	sink.refused[path] = reason
}
