package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	v1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/volume"
	volumeutil "k8s.io/kubernetes/pkg/volume/util"
	"k8s.io/mount-utils"
)

// podVolumes is what the volume plugins put on disk for one pod.
type podVolumes struct {
	Namespace string                `json:"namespace"`
	Name      string                `json:"name"`
	Refused   string                `json:"refused,omitempty"`
	Volumes   map[string]volumeView `json:"volumes"`
}

type volumeView struct {
	Error   string  `json:"error,omitempty"`
	Entries []entry `json:"entries"`
}

// entry is one file, directory or link; paths are relative, "." comes first, a parent before what lies in it.
type entry struct {
	Path   string `json:"path"`
	Type   string `json:"type"`
	Mode   string `json:"mode"`
	UID    uint32 `json:"uid"`
	GID    uint32 `json:"gid"`
	Target string `json:"target,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
	Bytes  string `json:"bytes,omitempty"`
}

func volumes(dir string, reader io.Reader) (any, error) {
	b, err := readBundle(reader)
	if err != nil {
		return nil, err
	}
	b.deliver()
	_, plugins, err := newKubelet(b, dir)
	if err != nil {
		return nil, err
	}
	views := []podVolumes{}
	for _, pod := range b.pods {
		view := podVolumes{Namespace: pod.Namespace, Name: pod.Name, Refused: b.refused[key(pod.Namespace, pod.Name)], Volumes: map[string]volumeView{}}
		mounted, _, _ := volumeutil.GetPodVolumeNames(pod, false)
		for index := range pod.Spec.Volumes {
			declared := &pod.Spec.Volumes[index]
			projected := declared.Secret != nil || declared.ConfigMap != nil || declared.DownwardAPI != nil || declared.Projected != nil
			// As the desired state populator: what no container mounts is never set up.
			if !projected || !mounted.Has(declared.Name) {
				continue
			}
			entries, err := b.setUp(plugins, pod, declared)
			view.Volumes[declared.Name] = volumeView{Error: message(err), Entries: entries}
		}
		views = append(views, view)
	}
	return views, nil
}

// setUp mounts as the operation generator does (v1.37.2 pkg/volume/util/operationexecutor), lists, unmounts.
func (b *bundle) setUp(plugins *volume.VolumePluginMgr, pod *v1.Pod, declared *v1.Volume) ([]entry, error) {
	spec := volume.NewSpecFromVolume(declared.DeepCopy())
	plugin, err := plugins.FindPluginBySpec(spec)
	if err != nil {
		return nil, err
	}
	// A plugin changes the pod that it is given.
	mounter, err := plugin.NewMounter(spec, pod.DeepCopy())
	if err != nil {
		return nil, err
	}
	arguments := volume.MounterArgs{FsUser: volumeutil.FsUserFrom(pod)}
	if pod.Spec.SecurityContext != nil {
		arguments.FsGroup = pod.Spec.SecurityContext.FSGroup
	}
	if err := mounter.SetUp(arguments); err != nil {
		return nil, err
	}
	// The kubelet sets such volumes up again at each sync; a second time changes nothing that it got right.
	if err := mounter.SetUp(arguments); err != nil {
		return nil, fmt.Errorf("set up again: %w", err)
	}
	entries, err := list(mounter.GetPath())
	_ = syscall.Unmount(mounter.GetPath(), syscall.MNT_DETACH)
	return entries, err
}

func list(root string) ([]entry, error) {
	entries := []entry{}
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		stat := syscall.Stat_t{}
		if err := syscall.Lstat(path, &stat); err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		found := entry{Path: relative, Mode: fmt.Sprintf("%04o", stat.Mode&0o7777), UID: stat.Uid, GID: stat.Gid}
		switch stat.Mode & syscall.S_IFMT {
		case syscall.S_IFDIR:
			found.Type = "dir"
		case syscall.S_IFLNK:
			found.Type = "symlink"
			found.Target, err = os.Readlink(path)
		default:
			found.Type = "file"
			var data []byte
			data, err = os.ReadFile(path)
			digest := sha256.Sum256(data)
			found.SHA256, found.Bytes = hex.EncodeToString(digest[:]), base64.StdEncoding.EncodeToString(data)
		}
		entries = append(entries, found)
		return err
	})
	return entries, err
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// directMounter is the kubelet's mounter, with mount(2) in place of one process of mount(8) for each tmpfs.
type directMounter struct{ mount.Interface }

func newMounter() mount.Interface { return directMounter{mount.New("")} }

func (directMounter) MountSensitiveWithoutSystemd(source, target, kind string, options, _ []string) error {
	return syscall.Mount(source, target, kind, 0, strings.Join(options, ","))
}
