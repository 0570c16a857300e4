// Package suite lays out Complement's own module with this project's way of starting servers in it, and compiles its
// tests. They use internal packages of that module, so they compile nowhere else.
package suite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

const complementModule = "github.com/matrix-org/complement"

// ErrUnavailable is the error when Complement's source cannot be had, for want of a network for example.
var ErrUnavailable = errors.New("left out, because the source of Complement is not available")

// Suite is Complement's source, ready to be compiled.
type Suite struct {
	tree     string
	binaries string
	// Held by a run while it changes one of them.
	lock string
}

// Prepare brings the version of Complement that go.mod in the folder module pins into the folder work, or the copy that
// COMPLEMENT_SOURCE names, and puts the files of module/overlay over it.
func Prepare(ctx context.Context, module, work string) (*Suite, error) {
	source, err := fetch(ctx, module)
	if err != nil {
		return nil, err
	}
	suite := &Suite{
		tree:     filepath.Join(work, "tree"),
		binaries: filepath.Join(work, "bin"),
		lock:     filepath.Join(work, "lock"),
	}
	if err := os.MkdirAll(work, 0o755); err != nil {
		return nil, err
	}
	unlock, err := lock(suite.lock)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return suite, layOut(suite.tree, source.Dir, filepath.Join(module, "overlay"), source.Sum)
}

// Packages returns the folders that have tests, such as "tests/csapi".
func (s *Suite) Packages() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(s.tree, "tests", "*_test.go"))
	if err != nil {
		return nil, err
	}
	deeper, err := filepath.Glob(filepath.Join(s.tree, "tests", "*", "*_test.go"))
	if err != nil {
		return nil, err
	}
	var packages []string
	for _, file := range append(files, deeper...) {
		folder, err := filepath.Rel(s.tree, filepath.Dir(file))
		if err != nil {
			return nil, err
		}
		packages = append(packages, filepath.ToSlash(folder))
	}
	slices.Sort(packages)
	return slices.Compact(packages), nil
}

// Compile compiles the tests of the packages and returns the program of each.
func (s *Suite) Compile(ctx context.Context, packages []string) (map[string]string, error) {
	unlock, err := lock(s.lock)
	if err != nil {
		return nil, err
	}
	defer unlock()
	arguments := []string{"test", "-c", "-o", s.binaries + string(filepath.Separator)}
	programs := make(map[string]string)
	for _, name := range packages {
		arguments = append(arguments, "./"+name)
		programs[name] = filepath.Join(s.binaries, filepath.Base(name)+".test")
	}
	command := exec.CommandContext(ctx, "go", arguments...)
	command.Dir = s.tree
	if output, err := command.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("the tests do not compile: %w\n%s", err, output)
	}
	return programs, nil
}

// Folder returns the folder of a package, in which its tests expect to run.
func (s *Suite) Folder(name string) string {
	return filepath.Join(s.tree, filepath.FromSlash(name))
}

// source is a module in Go's cache, or a copy of one.
type source struct{ Dir, Sum, Error string }

// fetch finds Complement's source: the copy that COMPLEMENT_SOURCE names, or else the version that is pinned.
func fetch(ctx context.Context, module string) (source, error) {
	folder := os.Getenv("COMPLEMENT_SOURCE")
	if folder == "" {
		return download(ctx, module)
	}
	folder, err := filepath.Abs(folder)
	if err != nil {
		return source{}, err
	}
	named, err := os.ReadFile(filepath.Join(folder, "go.mod"))
	if err != nil || !strings.HasPrefix(string(named), "module "+complementModule+"\n") {
		return source{}, fmt.Errorf("COMPLEMENT_SOURCE is %q, which is no copy of %s", folder, complementModule)
	}
	sum, err := digest(folder, folder)
	return source{Dir: folder, Sum: sum}, err
}

func download(ctx context.Context, module string) (source, error) {
	command := exec.CommandContext(ctx, "go", "mod", "download", "-json", complementModule)
	command.Dir = module
	var problems bytes.Buffer
	command.Stderr = &problems
	output, failure := command.Output()
	var answer source
	if err := json.Unmarshal(output, &answer); err != nil || failure != nil || answer.Dir == "" {
		reason := strings.TrimSpace(answer.Error + "\n" + problems.String())
		return source{}, fmt.Errorf("%w: %s", ErrUnavailable, reason)
	}
	return answer, nil
}

// layOut makes tree from the source of Complement and the files over it. One that is made of the same already stays as it
// is, because another run may be using it.
func layOut(tree, source, overlay, sum string) error {
	stamp, err := digest(overlay, sum)
	if err != nil {
		return err
	}
	stampPath := filepath.Join(tree, ".made-of")
	if existing, err := os.ReadFile(stampPath); err == nil && string(existing) == stamp {
		return nil
	}
	if err := os.RemoveAll(tree); err != nil {
		return err
	}
	for _, layer := range []string{source, overlay} {
		if err := copyOver(tree, layer); err != nil {
			return err
		}
	}
	return os.WriteFile(stampPath, []byte(stamp), 0o644)
}

func digest(folder, start string) (string, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, start)
	err := eachFile(folder, func(relative string, content []byte) error {
		fmt.Fprintf(hash, "%q %q\n", relative, content)
		return nil
	})
	return hex.EncodeToString(hash.Sum(nil)), err
}

// copyOver copies a folder into another and replaces what is there. The copies are writable, unlike the module cache.
func copyOver(into, from string) error {
	return eachFile(from, func(relative string, content []byte) error {
		target := filepath.Join(into, relative)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o644)
	})
}

func eachFile(folder string, do func(relative string, content []byte) error) error {
	return filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Name() == ".git" {
			return skip(entry)
		}
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return do(relative, content)
	})
}

// skip leaves out a file, or a folder with everything in it.
func skip(entry fs.DirEntry) error {
	if entry.IsDir() {
		return filepath.SkipDir
	}
	return nil
}

// lock waits until no other run lays out or compiles, and returns what lets the next one in.
func lock(path string) (func(), error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		file.Close()
		return nil, err
	}
	return func() { file.Close() }, nil
}
