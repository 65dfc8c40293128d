package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	v1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/kubelet"
	kubecontainer "k8s.io/kubernetes/pkg/kubelet/container"
	"k8s.io/kubernetes/pkg/probe"
	httpprobe "k8s.io/kubernetes/pkg/probe/http"
	"k8s.io/kubernetes/pkg/volume"
	volumeutil "k8s.io/kubernetes/pkg/volume/util"
	"k8s.io/kubernetes/pkg/volume/util/hostutil"
	"k8s.io/kubernetes/pkg/volume/util/subpath"
)

// podView is what a kubelet makes of one pod, without disk.
type podView struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Refused is the apiserver's reason not to take the pod at all.
	Refused  string `json:"refused,omitempty"`
	Hostname string `json:"hostname"`
	Domain   string `json:"domain"`
	// Groups are those that the sandbox adds to a container's own.
	Groups     []int64         `json:"groups"`
	Error      string          `json:"error,omitempty"`
	Containers []containerView `json:"containers"`
	Pod        *v1.Pod         `json:"pod"`
}

type containerView struct {
	Name    string         `json:"name"`
	Kind    string         `json:"kind"`
	Error   string         `json:"error,omitempty"`
	Env     map[string]any `json:"env"`
	Command []string       `json:"command"`
	Args    []string       `json:"args"`
	Mounts  []mountView    `json:"mounts"`
	// Ports has what each probe and hook connects to: a URL, or a port.
	Ports map[string]string `json:"ports"`
}

type mountView struct {
	Name              string `json:"name"`
	ContainerPath     string `json:"containerPath"`
	ReadOnly          bool   `json:"readOnly"`
	RecursiveReadOnly bool   `json:"recursiveReadOnly"`
	Propagation       string `json:"propagation"`
	// Plugin is the volume plugin; Source its place on this machine or its server, "" for what the kubelet makes.
	Plugin string `json:"plugin"`
	Source string `json:"source"`
	// SubPath is relative to the volume, after expansion.
	SubPath string `json:"subPath"`
}

func environments(reader io.Reader) (any, error) {
	b, err := readBundle(reader)
	if err != nil {
		return nil, err
	}
	b.deliver()
	return b.view(b.pods)
}

func (b *bundle) view(pods []*v1.Pod) (any, error) {
	rootDir, err := os.MkdirTemp("", "oracle-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(rootDir)
	kl, plugins, err := newKubelet(b, rootDir)
	if err != nil {
		return nil, err
	}
	views := []podView{}
	for _, pod := range pods {
		views = append(views, b.viewPod(kl, plugins, pod))
	}
	return views, nil
}

func (b *bundle) viewPod(kl *kubelet.Kubelet, plugins *volume.VolumePluginMgr, pod *v1.Pod) podView {
	view := podView{Namespace: pod.Namespace, Name: pod.Name, Pod: pod, Refused: b.refused[key(pod.Namespace, pod.Name)]}
	hostname, domain, err := kl.GeneratePodHostNameAndDomain(klog.Background(), pod)
	if err != nil {
		view.Error = err.Error()
	}
	view.Hostname, view.Domain = hostname, domain
	view.Groups = b.groups(pod)
	for index := range pod.Spec.InitContainers {
		view.Containers = append(view.Containers, b.viewContainer(kl, plugins, pod, &pod.Spec.InitContainers[index], "init"))
	}
	for index := range pod.Spec.Containers {
		view.Containers = append(view.Containers, b.viewContainer(kl, plugins, pod, &pod.Spec.Containers[index], "container"))
	}
	return view
}

// groups adds what PersistentVolumes bring, as the volume manager and kuberuntime_sandbox_linux.go do.
func (b *bundle) groups(pod *v1.Pod) []int64 {
	groups := map[int64]bool{}
	if pod.Spec.SecurityContext != nil {
		for _, group := range pod.Spec.SecurityContext.SupplementalGroups {
			groups[group] = true
		}
	}
	mounted, _, _ := volumeutil.GetPodVolumeNames(pod, false)
	for index := range pod.Spec.Volumes {
		spec, err := b.volumeSpec(pod, &pod.Spec.Volumes[index])
		if err != nil || spec.PersistentVolume == nil || !mounted.Has(pod.Spec.Volumes[index].Name) {
			continue
		}
		if group, extra := extraSupplementalGroup(spec.PersistentVolume.Annotations[volumeutil.VolumeGidAnnotationKey], pod); extra {
			groups[group] = true
		}
	}
	return slices.Sorted(maps.Keys(groups))
}

func (b *bundle) viewContainer(kl *kubelet.Kubelet, plugins *volume.VolumePluginMgr, pod *v1.Pod, container *v1.Container, kind string) containerView {
	view := containerView{Name: container.Name, Kind: kind, Env: map[string]any{}, Mounts: []mountView{}, Ports: map[string]string{}}
	volumes, sources, err := b.mounters(plugins, pod)
	if err != nil {
		view.Error = err.Error()
		return view
	}
	envs, err := makeEnvironmentVariables(kl, context.Background(), pod, container, b.PodIP, []string{b.PodIP}, volumes)
	if err != nil {
		view.Error = err.Error()
		return view
	}
	for _, env := range envs {
		view.Env[env.Name] = text(env.Value)
	}
	view.Command, view.Args = kubecontainer.ExpandContainerCommandAndArgs(container, envs)
	view.resolvePorts(container)
	// A hosts file for the container is not of interest and would be written: no address, no host network.
	plain := pod.DeepCopy()
	plain.Spec.HostNetwork = false
	mounts, cleanup, err := makeMounts(klog.Background(), plain, "", container, "", "", nil, volumes, &anyPath{}, &subpath.FakeSubpath{}, envs, true, imageVolumes(pod))
	if cleanup != nil {
		cleanup()
	}
	if err != nil {
		view.Error = err.Error()
		return view
	}
	for index, mount := range mounts {
		name := container.VolumeMounts[index].Name
		view.Mounts = append(view.Mounts, mountView{
			Name:              name,
			ContainerPath:     mount.ContainerPath,
			ReadOnly:          mount.ReadOnly,
			RecursiveReadOnly: mount.RecursiveReadOnly,
			Propagation:       mount.Propagation.String(),
			Plugin:            sources[name].plugin,
			Source:            sources[name].source,
			SubPath:           subPathOf(mount, volumes[name]),
		})
	}
	return view
}

func subPathOf(mount kubecontainer.Mount, info kubecontainer.VolumeInfo) string {
	if mount.Image != nil {
		return mount.ImageSubPath
	}
	return strings.TrimPrefix(strings.TrimPrefix(mount.HostPath, info.Mounter.GetPath()), "/")
}

type volumeSource struct{ plugin, source string }

func (b *bundle) mounters(plugins *volume.VolumePluginMgr, pod *v1.Pod) (kubecontainer.VolumeMap, map[string]volumeSource, error) {
	result := kubecontainer.VolumeMap{}
	sources := map[string]volumeSource{}
	mounted, _, _ := volumeutil.GetPodVolumeNames(pod, false)
	for index := range pod.Spec.Volumes {
		declared := &pod.Spec.Volumes[index]
		if !mounted.Has(declared.Name) {
			continue
		}
		spec, err := b.volumeSpec(pod, declared)
		if err != nil {
			return nil, nil, err
		}
		plugin, err := plugins.FindPluginBySpec(spec)
		if err != nil {
			return nil, nil, err
		}
		mounter, err := plugin.NewMounter(spec, pod)
		if err != nil {
			return nil, nil, err
		}
		result[declared.Name] = kubecontainer.VolumeInfo{Mounter: mounter, ReadOnly: spec.ReadOnly, InnerVolumeSpecName: spec.Name()}
		sources[declared.Name] = volumeSource{plugin.GetPluginName(), describeSource(spec)}
	}
	return result, sources, nil
}

func describeSource(spec *volume.Spec) string {
	source := v1.PersistentVolumeSource{}
	if spec.PersistentVolume != nil {
		source = spec.PersistentVolume.Spec.PersistentVolumeSource
	} else {
		source.HostPath, source.NFS = spec.Volume.HostPath, spec.Volume.NFS
	}
	switch {
	case source.HostPath != nil:
		return source.HostPath.Path
	case source.Local != nil:
		return source.Local.Path
	case source.NFS != nil:
		return source.NFS.Server + ":" + source.NFS.Path
	}
	return ""
}

// anyPath says of every path that it exists, so that a subPath is resolved and nothing is made on disk.
type anyPath struct{ hostutil.FakeHostUtil }

func (*anyPath) PathExists(string) (bool, error) { return true, nil }

func imageVolumes(pod *v1.Pod) kubecontainer.ImageVolumes {
	images := kubecontainer.ImageVolumes{}
	for _, declared := range pod.Spec.Volumes {
		if declared.Image != nil {
			images[declared.Name] = &runtimeapi.ImageSpec{Image: declared.Image.Reference}
		}
	}
	return images
}

func (view *containerView) resolvePorts(container *v1.Container) {
	probes := map[string]*v1.Probe{"liveness": container.LivenessProbe, "readiness": container.ReadinessProbe, "startup": container.StartupProbe}
	for name, declared := range probes {
		if declared != nil {
			view.resolvePort(name, container, declared.HTTPGet, declared.TCPSocket)
		}
	}
	if container.Lifecycle == nil {
		return
	}
	hooks := map[string]*v1.LifecycleHandler{"postStart": container.Lifecycle.PostStart, "preStop": container.Lifecycle.PreStop}
	for name, declared := range hooks {
		if declared != nil {
			view.resolvePort(name, container, declared.HTTPGet, declared.TCPSocket)
		}
	}
}

func (view *containerView) resolvePort(name string, container *v1.Container, get *v1.HTTPGetAction, socket *v1.TCPSocketAction) {
	switch {
	case get != nil:
		request, err := httpprobe.NewRequestForHTTPGetAction(get, container, "192.0.2.1", "oracle")
		if err != nil {
			view.Ports[name] = "error: " + err.Error()
			return
		}
		view.Ports[name] = request.URL.String()
	case socket != nil:
		port, err := probe.ResolveContainerPort(socket.Port, container)
		if err != nil {
			view.Ports[name] = "error: " + err.Error()
			return
		}
		view.Ports[name] = fmt.Sprintf("%s:%d", socket.Host, port)
	}
}

// text is a string where JSON can carry it, else {"base64": …}.
func text(value string) any {
	if utf8.ValidString(value) {
		return value
	}
	return map[string]string{"base64": base64.StdEncoding.EncodeToString([]byte(value))}
}
