package process

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// templates are data folders of servers that were made ready and never ran, one for each name. A copy of one is a fresh
// server in a few milliseconds, which is less than the server takes to make its keys and its database.
type templates struct {
	binary string
	folder string

	mutex sync.Mutex
	ready map[string]string
}

func newTemplates(binary, folder string) *templates {
	return &templates{binary: binary, folder: folder, ready: make(map[string]string)}
}

// of returns the data folder to copy for a server called name.
func (t *templates) of(name string) (string, error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if data := t.ready[name]; data != "" {
		return data, nil
	}
	data := filepath.Join(t.folder, name, "data")
	config := filepath.Join(t.folder, name, "config.toml")
	command := exec.Command(t.binary, "init", "--server-name", name, "--data-dir", data, "--config", config)
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("init of %s: %w: %s", name, err, output)
	}
	t.ready[name] = data
	return data, nil
}

// copyFolder copies a folder with the permissions of what is in it.
func copyFolder(into, from string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		target := filepath.Join(into, relative)
		if entry.IsDir() {
			return os.Mkdir(target, info.Mode().Perm())
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, content, info.Mode().Perm())
	})
}
