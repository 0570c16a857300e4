package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// server returns the path of the server's program: COMMONROOM_BINARY, or what cargo builds from the repository.
func server(ctx context.Context, root string) (string, error) {
	if given := os.Getenv("COMMONROOM_BINARY"); given != "" {
		path, err := filepath.Abs(given)
		if err != nil {
			return "", err
		}
		_, err = os.Stat(path)
		return path, err
	}
	command := exec.CommandContext(ctx, "cargo", "build", "--locked", "--bin", "commonroom",
		"--message-format", "json-render-diagnostics")
	command.Dir = root
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("the server does not build: %w", err)
	}
	return builtProgram(output)
}

// builtProgram finds the program in what cargo says about its build.
func builtProgram(messages []byte) (string, error) {
	lines := bufio.NewScanner(bytes.NewReader(messages))
	lines.Buffer(nil, len(messages)+1)
	for lines.Scan() {
		var message struct {
			Executable *string
			Target     struct{ Name string }
		}
		if err := json.Unmarshal(lines.Bytes(), &message); err != nil {
			return "", fmt.Errorf("cargo said %q: %w", lines.Text(), err)
		}
		if message.Executable != nil && message.Target.Name == "commonroom" {
			return *message.Executable, nil
		}
	}
	return "", errors.Join(lines.Err(), errors.New("cargo built no program called commonroom"))
}
