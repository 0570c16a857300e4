package process

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/matrix-org/complement/b"
)

// The test binary stands in for a homeserver when a test has it started as one.
func TestMain(m *testing.M) {
	command := ""
	if len(os.Args) > 1 {
		command = os.Args[1]
	}
	switch command {
	case "init":
		os.Exit(initialise(os.Args[5]))
	case "serve":
		os.Exit(serve(os.Args[3]))
	default:
		os.Exit(m.Run())
	}
}

func TestServersAnswerUntilTheyAreDestroyed(t *testing.T) {
	suite := newTestSuite(t)
	deployment := suite.Deploy(t, 2)
	for _, name := range []string{"hs1", "hs2"} {
		if got := ask(t, deployment, name); got != name {
			t.Errorf("%s says it is %q", name, got)
		}
	}
	folder := deployment.folder
	deployment.Destroy(t)
	if _, err := deployment.server(t, "hs1").pid(); err == nil {
		t.Error("hs1 runs after the deployment was destroyed")
	}
	if _, err := os.Stat(folder); !os.IsNotExist(err) {
		t.Errorf("the data is left: %v", err)
	}
	if _, err := os.Stat(filepath.Join(suite.logs, t.Name(), "hs2.log")); err != nil {
		t.Errorf("the log is gone: %s", err)
	}
}

func TestAStoppedServerComesBackOnTheSameData(t *testing.T) {
	deployment := newTestSuite(t).Deploy(t, 1)
	server := deployment.server(t, "hs1")
	first := deployment.ContainerID(t, "hs1")

	deployment.StopServer(t, "hs1")
	if response, err := http.Get(server.clientURL()); err == nil {
		response.Body.Close()
		t.Error("a stopped server answers")
	}
	deployment.StartServer(t, "hs1")
	if deployment.ContainerID(t, "hs1") == first {
		t.Error("a server that was started again is the same process")
	}
	if err := deployment.Restart(t); err != nil {
		t.Fatal(err)
	}
	starts, err := os.ReadFile(filepath.Join(server.dataPath(), "starts"))
	if err != nil || len(starts) != 3 {
		t.Errorf("the data of three starts is %q, %v", starts, err)
	}
}

func TestAPausedServerIsSilentAndGoesOn(t *testing.T) {
	deployment := newTestSuite(t).Deploy(t, 1)
	impatient := http.Client{Timeout: 100 * time.Millisecond}

	deployment.PauseServer(t, "hs1")
	if response, err := impatient.Get(deployment.server(t, "hs1").clientURL()); err == nil {
		response.Body.Close()
		t.Error("a paused server answers")
	}
	deployment.UnpauseServer(t, "hs1")
	ask(t, deployment, "hs1")

	deployment.PauseServer(t, "hs1")
	deployment.StopServer(t, "hs1")
	deployment.StopServer(t, "hs1")
	if err := deployment.Restart(t); err != nil {
		t.Fatal(err)
	}
	ask(t, deployment, "hs1")
}

func TestServersAreToldWhereTheOthersAreAndWhomToTrust(t *testing.T) {
	suite := newTestSuite(t)
	deployment := suite.Deploy(t, 1)
	server := deployment.server(t, "hs1")
	config, err := os.ReadFile(server.configPath())
	if err != nil {
		t.Fatal(err)
	}
	expected := []string{fmt.Sprintf("extra_certificate_authorities = [%q]", suite.authority.path)}
	for _, name := range names(maxServers) {
		expected = append(expected, fmt.Sprintf("{ name = %q, address = \"%s:8448\" }", name, deployment.addresses[name]))
	}
	for _, text := range expected {
		if !strings.Contains(string(config), text) {
			t.Errorf("the configuration lacks %s: %s", text, config)
		}
	}
	for _, path := range []string{suite.authority.path, server.certificatePath(), server.keyPath()} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}

func TestADirtyRunStartsAServerAnewThatDidNotStart(t *testing.T) {
	suite := newTestSuite(t)
	suite.Config.EnableDirtyRuns = true
	deployment := suite.Deploy(t, 1)
	process := deployment.ContainerID(t, "hs1")
	binary := suite.binary
	suite.binary = "/bin/false"
	if err := deployment.grow(names(2), nil); err == nil {
		t.Error("/bin/false is a server")
	}
	suite.binary = binary
	if suite.Deploy(t, 2).ContainerID(t, "hs1") != process {
		t.Error("hs1 is another one")
	}
	ask(t, deployment, "hs2")
}

func TestADirtyRunSharesOneDeploymentThatGrows(t *testing.T) {
	suite := newTestSuite(t)
	suite.Config.EnableDirtyRuns = true
	small := suite.Deploy(t, 1)
	process := small.ContainerID(t, "hs1")
	small.Destroy(t)

	large := suite.Deploy(t, 3)
	if large != small || large.ContainerID(t, "hs1") != process {
		t.Error("the second test got another hs1")
	}
	ask(t, large, "hs3")
	if suite.DeployBlueprint(t, b.BlueprintCleanHS) == large {
		t.Error("a blueprint was put into the shared deployment")
	}
}

func TestABlueprintsApplicationServiceHasATokenAndARegistration(t *testing.T) {
	deployment := newTestSuite(t).DeployBlueprint(t, b.MustValidate(b.Blueprint{
		Name: "bridged",
		Homeservers: []b.Homeserver{{
			Name:                "hs1",
			ApplicationServices: []b.ApplicationService{{ID: "bridge", URL: "http://localhost:9", SenderLocalpart: "bot"}},
		}},
	}))
	bot := deployment.AppServiceUser(t, "hs1", "@bot:hs1")
	written, err := os.ReadFile(filepath.Join(deployment.server(t, "hs1").registrations(), "bridge.yaml"))
	if err != nil || !strings.Contains(string(written), fmt.Sprintf("as_token: %q", bot.AccessToken)) {
		t.Errorf("the registration does not have the token %s: %s %v", bot.AccessToken, written, err)
	}
}

func TestAServerThatEndsInsteadOfStartingIsReportedAtOnce(t *testing.T) {
	suite := newTestSuite(t)
	suite.binary = filepath.Join(t.TempDir(), "server")
	if err := os.WriteFile(suite.binary, []byte("#!/bin/sh\n[ \"$1\" = init ] && mkdir -p \"$5\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	deployment, err := newDeployment(suite, t.Name())
	if err != nil {
		t.Fatal(err)
	}
	err = deployment.grow(names(1), nil)
	if err == nil || !strings.Contains(err.Error(), "ended instead of starting (exit status 1)") {
		t.Errorf("the error is %v", err)
	}
}

func newTestSuite(t *testing.T) *Suite {
	t.Helper()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("COMMONROOM_BINARY", own)
	t.Setenv("COMPLEMENT_LOGS", t.TempDir())
	// NewSuite sets it for its whole process; this puts it back after the test.
	t.Setenv("TMPDIR", t.TempDir())
	suite, err := NewSuite("process")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(suite.Close)
	return suite
}

// ask returns the name that a server gives itself over TLS.
func ask(t *testing.T, deployment *Deployment, name string) string {
	t.Helper()
	client := http.Client{Transport: deployment.RoundTripper(), Timeout: 5 * time.Second}
	response, err := client.Get("matrix://" + name + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// initialise makes the data folder of the homeserver that serve is.
func initialise(data string) int {
	if os.MkdirAll(data, 0o700) != nil || os.WriteFile(filepath.Join(data, "starts"), nil, 0o600) != nil {
		return 1
	}
	return 0
}

// serve is a homeserver that answers every request with its name and adds one byte to its data at each start.
func serve(configPath string) int {
	config, err := os.ReadFile(configPath)
	if err != nil {
		return 1
	}
	value := func(key string) string {
		return regexp.MustCompile(`(?m)\b` + key + ` = "([^"]+)"`).FindStringSubmatch(string(config))[1]
	}
	data, err := os.OpenFile(filepath.Join(value("data_dir"), "starts"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 1
	}
	fmt.Fprint(data, ".")
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, value("server_name")) })
	host, _, _ := net.SplitHostPort(value("address"))
	federation, err := net.Listen("tcp", fmt.Sprintf("%s:%d", host, federationPort))
	if err != nil {
		return 1
	}
	go http.ServeTLS(federation, handler, value("certificate"), value("key"))
	go http.ListenAndServe(fmt.Sprintf("%s:%d", host, clientPort), handler)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
	return 0
}
