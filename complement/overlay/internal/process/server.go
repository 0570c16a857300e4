package process

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/matrix-org/complement/b"
)

const (
	clientPort     = 8008
	federationPort = 8448
	// How long a server may take to end in the orderly way.
	stopTimeout = 10 * time.Second
)

// session is a login that was made before the test began.
type session struct{ token, device string }

// server is one homeserver: a folder, an address, and a process while it runs.
type server struct {
	name    string
	address string
	// Of all servers that the deployment may have.
	addresses map[string]string
	// The file with the certificate authority of the run.
	authority string
	folder    string
	log       string
	binary    string
	timeout   time.Duration
	sessions  map[string]session

	command *exec.Cmd
	// Closed when the process has ended.
	ended chan struct{}
}

// newServer lays out the folder of a server that was never started.
func newServer(deployment *Deployment, name string, services []b.ApplicationService) (*server, error) {
	server := &server{
		name:      name,
		address:   deployment.addresses[name],
		addresses: deployment.addresses,
		authority: deployment.suite.authority.path,
		folder:    filepath.Join(deployment.folder, name),
		log:       filepath.Join(deployment.logs, name+".log"),
		binary:    deployment.suite.binary,
		timeout:   deployment.suite.Config.SpawnHSTimeout,
		sessions:  make(map[string]session),
	}
	if server.address == "" {
		return nil, fmt.Errorf("servers are called hs1 to hs%d, not %q", maxServers, name)
	}
	for _, folder := range []string{server.folder, deployment.logs} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return nil, err
		}
	}
	template, err := deployment.suite.templates.of(name)
	if err != nil {
		return nil, err
	}
	if err := copyFolder(server.dataPath(), template); err != nil {
		return nil, err
	}
	if err := os.WriteFile(server.configPath(), []byte(server.config()), 0o600); err != nil {
		return nil, err
	}
	if err := deployment.suite.authority.issue(server); err != nil {
		return nil, err
	}
	return server, writeRegistrations(server, services)
}

func (s *server) clientURL() string {
	return fmt.Sprintf("http://%s:%d", s.address, clientPort)
}

func (s *server) pid() (int, error) {
	if !s.running() {
		return 0, fmt.Errorf("%s is not running", s.name)
	}
	return s.command.Process.Pid, nil
}

// start launches a server that is not running and waits until it answers.
func (s *server) start() error {
	if s.running() {
		return fmt.Errorf("%s is running already", s.name)
	}
	if err := s.launch(); err != nil {
		return err
	}
	return s.waitUntilReady()
}

// stop asks the server to end and kills it when it does not. One that does not run is stopped already.
func (s *server) stop() error {
	if !s.running() {
		return nil
	}
	// One that is suspended hears of it only when it goes on.
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGCONT} {
		if err := s.signal(signal); err != nil && s.running() {
			return err
		}
	}
	select {
	case <-s.ended:
		return nil
	case <-time.After(stopTimeout):
		s.kill()
		return fmt.Errorf("%s did not end within %s of SIGTERM; its log: %s", s.name, stopTimeout, s.log)
	}
}

// pause suspends the server, and returns when none of its threads runs any more.
func (s *server) pause() error {
	if err := s.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	deadline := time.Now().Add(stopTimeout)
	for time.Now().Before(deadline) {
		if suspended(s.command.Process.Pid) {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return fmt.Errorf("%s was not suspended within %s", s.name, stopTimeout)
}

func (s *server) unpause() error { return s.signal(syscall.SIGCONT) }

// suspended reads the state of each thread: the letter after the program's name, which is in parentheses.
func suspended(pid int) bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(threads) == 0 {
		return false
	}
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		_, rest, found := bytes.Cut(text, []byte(") "))
		if err != nil || !found || rest[0] != 'T' {
			return false
		}
	}
	return true
}

// kill ends the server at once, if it runs.
func (s *server) kill() {
	if s.signal(syscall.SIGKILL) == nil {
		<-s.ended
	}
}

func (s *server) launch() error {
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	command := exec.Command(s.binary, "serve", "--config", s.configPath())
	command.Stdout, command.Stderr = log, log
	// A group of its own, so that an interrupt of the tests leaves it to them to end it; and its end, should they die.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := spawn(command); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	ended := make(chan struct{})
	s.command, s.ended = command, ended
	go func() {
		// How it ended is in its log; that it ended is what others wait for.
		_ = command.Wait()
		close(ended)
	}()
	return nil
}

// waitUntilReady returns when the server answers a client's first request.
func (s *server) waitUntilReady() error {
	probe := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	deadline := time.Now().Add(s.timeout)
	for time.Now().Before(deadline) {
		answer, err := probe.Get(s.clientURL() + "/_matrix/client/versions")
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-s.ended:
			return fmt.Errorf("%s ended instead of starting (%s); its log: %s", s.name, s.command.ProcessState, s.log)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return fmt.Errorf("%s did not answer within %s; its log: %s", s.name, s.timeout, s.log)
}

func (s *server) running() bool {
	if s.command == nil {
		return false
	}
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

func (s *server) signal(signal syscall.Signal) error {
	pid, err := s.pid()
	if err != nil {
		return err
	}
	// To the whole group, for the processes that the server may have started.
	if err := syscall.Kill(-pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("%s to %s: %w", signal, s.name, err)
	}
	return nil
}
