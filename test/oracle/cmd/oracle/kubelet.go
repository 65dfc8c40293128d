package main

import (
	"context"
	"fmt"
	"net"
	"reflect"
	"time"
	"unsafe"

	authenticationv1 "k8s.io/api/authentication/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clientgotesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/kubelet"
	kubecontainer "k8s.io/kubernetes/pkg/kubelet/container"
	"k8s.io/kubernetes/pkg/kubelet/network/dns"
	"k8s.io/kubernetes/pkg/kubelet/token"
	"k8s.io/kubernetes/pkg/volume"
	"k8s.io/kubernetes/pkg/volume/configmap"
	"k8s.io/kubernetes/pkg/volume/downwardapi"
	"k8s.io/kubernetes/pkg/volume/emptydir"
	"k8s.io/kubernetes/pkg/volume/hostpath"
	"k8s.io/kubernetes/pkg/volume/image"
	"k8s.io/kubernetes/pkg/volume/local"
	"k8s.io/kubernetes/pkg/volume/nfs"
	"k8s.io/kubernetes/pkg/volume/projected"
	"k8s.io/kubernetes/pkg/volume/secret"
	"k8s.io/kubernetes/pkg/volume/util/hostutil"
	"k8s.io/kubernetes/pkg/volume/util/subpath"
)

// The functions of the kubelet that are not exported, by their linker names (v1.37.2 pkg/kubelet/kubelet_pods.go).

//go:linkname makeEnvironmentVariables k8s.io/kubernetes/pkg/kubelet.(*Kubelet).makeEnvironmentVariables
func makeEnvironmentVariables(kl *kubelet.Kubelet, ctx context.Context, pod *v1.Pod, container *v1.Container, podIP string, podIPs []string, podVolumes kubecontainer.VolumeMap) ([]kubecontainer.EnvVar, error)

//go:linkname makeMounts k8s.io/kubernetes/pkg/kubelet.makeMounts
func makeMounts(logger klog.Logger, pod *v1.Pod, podDir string, container *v1.Container, hostName, hostDomain string, podIPs []string, podVolumes kubecontainer.VolumeMap, hu hostutil.HostUtils, subpather subpath.Interface, expandEnvs []kubecontainer.EnvVar, supportsRRO bool, imageVolumes kubecontainer.ImageVolumes) ([]kubecontainer.Mount, func(), error)

//go:linkname extraSupplementalGroup k8s.io/kubernetes/pkg/kubelet/volumemanager.getExtraSupplementalGID
func extraSupplementalGroup(volumeGidValue string, pod *v1.Pod) (int64, bool)

// newKubelet gives a Kubelet that knows just the bundle: enough for environments, mounts and volumes.
func newKubelet(b *bundle, rootDir string) (*kubelet.Kubelet, *volume.VolumePluginMgr, error) {
	kl := &kubelet.Kubelet{}
	client := fake.NewClientset()
	client.PrependReactor("create", "serviceaccounts", b.mint)
	set(kl, "nodeName", types.NodeName(b.Node))
	set(kl, "hostname", b.Node)
	set(kl, "rootDirectory", rootDir)
	set(kl, "kubeClient", client)
	set(kl, "secretManager", b)
	set(kl, "configMapManager", b)
	set(kl, "serviceLister", serviceList(b.services))
	set(kl, "serviceHasSynced", func() bool { return true })
	set(kl, "nodeLister", nodeList(b.nodes))
	set(kl, "nodeIPs", []net.IP(nil))
	set(kl, "dnsConfigurer", &dns.Configurer{ClusterDomain: "cluster.local"})
	set(kl, "mounter", newMounter())
	set(kl, "hostutil", hostutil.NewHostUtil())
	set(kl, "subpather", &subpath.FakeSubpath{})
	set(kl, "recorder", &record.FakeRecorder{})

	plugins := []volume.VolumePlugin{}
	plugins = append(plugins, secret.ProbeVolumePlugins()...)
	plugins = append(plugins, configmap.ProbeVolumePlugins()...)
	plugins = append(plugins, downwardapi.ProbeVolumePlugins()...)
	plugins = append(plugins, projected.ProbeVolumePlugins()...)
	plugins = append(plugins, emptydir.ProbeVolumePlugins()...)
	plugins = append(plugins, hostpath.ProbeVolumePlugins(volume.VolumeConfig{})...)
	plugins = append(plugins, nfs.ProbeVolumePlugins(volume.VolumeConfig{})...)
	plugins = append(plugins, local.ProbeVolumePlugins()...)
	plugins = append(plugins, image.ProbeVolumePlugins()...)
	manager, err := kubelet.NewInitializedVolumePluginMgr(klog.Background(), kl, b, b, token.NewManager(client), nil, plugins, nil)
	if err != nil {
		return nil, nil, err
	}
	set(kl, "volumePluginMgr", manager)
	return kl, manager, nil
}

// set assigns a field that is not exported; a field that this version does not have is a panic.
func set(kl *kubelet.Kubelet, name string, value any) {
	field := reflect.ValueOf(kl).Elem().FieldByName(name)
	reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem().Set(reflect.ValueOf(value).Convert(field.Type()))
}

// mint answers a TokenRequest as an apiserver would, with the bundle's token for that pod and audience.
func (b *bundle) mint(action clientgotesting.Action) (bool, runtime.Object, error) {
	if action.GetSubresource() != "token" {
		return false, nil, nil
	}
	request := action.(clientgotesting.CreateAction).GetObject().(*authenticationv1.TokenRequest)
	audience := ""
	if len(request.Spec.Audiences) > 0 {
		audience = request.Spec.Audiences[0]
	}
	for _, minted := range b.Tokens {
		if minted.Namespace == action.GetNamespace() && minted.Pod == request.Spec.BoundObjectRef.Name && minted.Audience == audience {
			request.Status = authenticationv1.TokenRequestStatus{
				Token:               minted.Token,
				ExpirationTimestamp: metav1.NewTime(time.Now().Add(time.Hour)),
			}
			return true, request, nil
		}
	}
	return true, nil, fmt.Errorf("no token for pod %s/%s, audience %q", action.GetNamespace(), request.Spec.BoundObjectRef.Name, audience)
}

// volumeSpec finds what a volume of a pod is, following a claim to its PersistentVolume as the kubelet does.
func (b *bundle) volumeSpec(pod *v1.Pod, v *v1.Volume) (*volume.Spec, error) {
	source := v.PersistentVolumeClaim
	if source == nil {
		return volume.NewSpecFromVolume(v.DeepCopy()), nil
	}
	claim, ok := b.claims[key(pod.Namespace, source.ClaimName)]
	if !ok {
		return nil, fmt.Errorf("claim %s/%s not found", pod.Namespace, source.ClaimName)
	}
	persistent, ok := b.volumes[claim.Spec.VolumeName]
	if !ok {
		return nil, fmt.Errorf("volume %q of claim %s/%s not found", claim.Spec.VolumeName, pod.Namespace, source.ClaimName)
	}
	return volume.NewSpecFromPersistentVolume(persistent.DeepCopy(), source.ReadOnly), nil
}
