package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/tools/record"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	podutil "k8s.io/kubernetes/pkg/api/pod"
	core "k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	corev1 "k8s.io/kubernetes/pkg/apis/core/v1"
	"k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/kubelet/config"
	kubetypes "k8s.io/kubernetes/pkg/kubelet/types"
	"sigs.k8s.io/yaml"
)

// document is what the test sends. Objects are as a person may write them: defaults not yet set.
type document struct {
	Node    string            `json:"node"`
	Gates   map[string]bool   `json:"gates"`
	Objects []json.RawMessage `json:"objects"`
	Tokens  []mintedToken     `json:"tokens"`
	PodIP   string            `json:"podIP"`
}

type mintedToken struct {
	Namespace string `json:"namespace"`
	Pod       string `json:"pod"`
	Audience  string `json:"audience"`
	Token     string `json:"token"`
}

// bundle is the document after the apiserver: defaults set, stringData merged, pods validated.
type bundle struct {
	document
	pods       []*v1.Pod
	refused    map[string]string
	secrets    map[string]*v1.Secret
	configMaps map[string]*v1.ConfigMap
	services   []*v1.Service
	nodes      map[string]*v1.Node
	claims     map[string]*v1.PersistentVolumeClaim
	volumes    map[string]*v1.PersistentVolume
}

func readBundle(reader io.Reader) (*bundle, error) {
	b := &bundle{
		refused:    map[string]string{},
		secrets:    map[string]*v1.Secret{},
		configMaps: map[string]*v1.ConfigMap{},
		nodes:      map[string]*v1.Node{},
		claims:     map[string]*v1.PersistentVolumeClaim{},
		volumes:    map[string]*v1.PersistentVolume{},
	}
	if err := json.NewDecoder(reader).Decode(&b.document); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	if err := utilfeature.DefaultMutableFeatureGate.SetFromMap(b.Gates); err != nil {
		return nil, err
	}
	for index, raw := range b.Objects {
		if err := b.add(raw); err != nil {
			return nil, fmt.Errorf("object %d: %w", index, err)
		}
	}
	return b, nil
}

// deliver passes the pods through the kubelet's merging of its sources, which writes two annotations on them.
func (b *bundle) deliver() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	sources := config.NewPodConfig(&record.FakeRecorder{}, noObserver{})
	channel := reflect.ValueOf(sources.Channel(ctx, kubetypes.ApiserverSource))
	// The channel's element type is not exported, its field is.
	update := reflect.New(channel.Type().Elem()).Elem()
	update.FieldByName("Pods").Set(reflect.ValueOf(b.pods))
	channel.Send(update)
	<-sources.Updates()
}

func (b *bundle) add(raw []byte) error {
	decoded, err := runtime.Decode(legacyscheme.Codecs.UniversalDecoder(), raw)
	if runtime.IsNotRegisteredError(err) {
		return nil // another API group: of no concern to a pod
	}
	if err != nil {
		return err
	}
	if pod, ok := decoded.(*core.Pod); ok {
		options := podutil.GetValidationOptionsFromPodSpecAndMeta(&pod.Spec, nil, &pod.ObjectMeta, nil)
		if errs := validation.ValidatePodCreate(pod, options); len(errs) > 0 {
			b.refused[key(pod.Namespace, pod.Name)] = errs.ToAggregate().Error()
		}
		versioned := &v1.Pod{}
		if err := corev1.Convert_core_Pod_To_v1_Pod(pod, versioned, nil); err != nil {
			return err
		}
		b.pods = append(b.pods, versioned)
		return nil
	}
	versioned, err := legacyscheme.Scheme.ConvertToVersion(decoded, v1.SchemeGroupVersion)
	if err != nil {
		return err
	}
	switch object := versioned.(type) {
	case *v1.Secret:
		b.secrets[key(object.Namespace, object.Name)] = object
	case *v1.ConfigMap:
		b.configMaps[key(object.Namespace, object.Name)] = object
	case *v1.Service:
		b.services = append(b.services, object)
	case *v1.Node:
		b.nodes[object.Name] = object
	case *v1.PersistentVolumeClaim:
		b.claims[key(object.Namespace, object.Name)] = object
	case *v1.PersistentVolume:
		b.volumes[object.Name] = object
	}
	return nil
}

func key(namespace, name string) string { return namespace + "/" + name }

// The kubelet's managers and listers, answered from the bundle.

func (b *bundle) RegisterPod(*v1.Pod)   {}
func (b *bundle) UnregisterPod(*v1.Pod) {}

func (b *bundle) GetSecret(namespace, name string) (*v1.Secret, error) {
	if secret, ok := b.secrets[key(namespace, name)]; ok {
		return secret, nil
	}
	return nil, apierrors.NewNotFound(v1.Resource("secrets"), name)
}

func (b *bundle) GetConfigMap(namespace, name string) (*v1.ConfigMap, error) {
	if configMap, ok := b.configMaps[key(namespace, name)]; ok {
		return configMap, nil
	}
	return nil, apierrors.NewNotFound(v1.Resource("configmaps"), name)
}

type serviceList []*v1.Service

func (s serviceList) List(labels.Selector) ([]*v1.Service, error) { return s, nil }

type nodeList map[string]*v1.Node

func (n nodeList) List(labels.Selector) (result []*v1.Node, err error) {
	for _, node := range n {
		result = append(result, node)
	}
	return result, nil
}

func (n nodeList) Get(name string) (*v1.Node, error) {
	if node, ok := n[name]; ok {
		return node, nil
	}
	return nil, apierrors.NewNotFound(v1.Resource("nodes"), name)
}

type yamlText string

// yamlDocuments prints as kubectl does: through sigs.k8s.io/yaml.
func yamlDocuments(reader io.Reader) (any, error) {
	asked := document{}
	if err := json.NewDecoder(reader).Decode(&asked); err != nil {
		return nil, err
	}
	text := strings.Builder{}
	for _, raw := range asked.Objects {
		printed, err := yaml.JSONToYAML([]byte(escapeUnprintable(string(raw))))
		if err != nil {
			return nil, err
		}
		text.WriteString("---\n")
		text.Write(printed)
	}
	return yamlText(text.String()), nil
}

// escapeUnprintable writes what YAML refuses or takes for the end of a line; JSON and YAML share the escape.
func escapeUnprintable(text string) string {
	escaped := strings.Builder{}
	for _, char := range text {
		if char >= 0x7f && char < 0xa0 || char == 0x2028 || char == 0x2029 || char == 0xfeff || char == 0xfffe || char == 0xffff {
			fmt.Fprintf(&escaped, "\\u%04x", char)
		} else {
			escaped.WriteRune(char)
		}
	}
	return escaped.String()
}

type reference struct {
	Resource string `json:"resource"`
	Has      bool   `json:"has"`
}

func hasReference(file string) (any, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	decoded, err := runtime.Decode(legacyscheme.Codecs.UniversalDecoder(), data)
	if err != nil {
		return nil, err
	}
	pod, ok := decoded.(*core.Pod)
	if !ok {
		return nil, fmt.Errorf("%s holds no Pod", file)
	}
	has, resource, err := podutil.HasAPIObjectReference(pod)
	return reference{Resource: resource, Has: has}, err
}
