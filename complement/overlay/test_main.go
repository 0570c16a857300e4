// Package complement's entry point, in place of the one that starts containers: every test package calls TestMain, and
// every test Deploy or OldDeploy, so the servers become ordinary processes and no test file changes.
package complement

import (
	"fmt"
	"os"
	"testing"

	"github.com/sirupsen/logrus"

	"github.com/matrix-org/complement/b"
	"github.com/matrix-org/complement/config"
	"github.com/matrix-org/complement/ct"
	"github.com/matrix-org/complement/internal/process"
)

// TestMain runs the tests of one package, then ends every server that they left running.
func TestMain(m *testing.M, namespace string, customOpts ...opt) {
	code, err := run(m, namespace, customOpts)
	if err != nil {
		fmt.Fprintln(os.Stderr, "complement:", err)
		code = 1
	}
	os.Exit(code)
}

// Deploy starts numServers empty servers, called hs1, hs2 and so on, or fails the test.
func Deploy(t ct.TestLike, numServers int) Deployment {
	t.Helper()
	if custom.deployment != nil {
		return custom.deployment(t, numServers, suiteOf(t).Config)
	}
	return suiteOf(t).Deploy(t, numServers)
}

// OldDeploy starts the servers of a blueprint with the users, rooms and application services it describes, or fails the
// test. They are always fresh ones.
func OldDeploy(t ct.TestLike, blueprint b.Blueprint) Deployment {
	t.Helper()
	return suiteOf(t).DeployBlueprint(t, blueprint)
}

// WithCleanup runs fn after the tests of the package, before its servers are ended.
func WithCleanup(fn func(config *config.Complement)) opt {
	return func(options *options) { options.cleanup = fn }
}

// WithDeployment lets a package bring its own way to start servers.
func WithDeployment(fn func(t ct.TestLike, numServers int, config *config.Complement) Deployment) opt {
	return func(options *options) { options.deployment = fn }
}

type options struct {
	cleanup    func(config *config.Complement)
	deployment func(t ct.TestLike, numServers int, config *config.Complement) Deployment
}

type opt func(*options)

// A test package is one program with one TestMain, so these are set once, before any test runs.
var (
	suite  *process.Suite
	custom options
)

func run(m *testing.M, namespace string, customOpts []opt) (int, error) {
	for _, set := range customOpts {
		set(&custom)
	}
	// The federation library of the tests logs through logrus, and only its errors say something about a test.
	logrus.SetLevel(logrus.ErrorLevel)
	var err error
	if suite, err = process.NewSuite(namespace); err != nil {
		return 0, err
	}
	defer suite.Close()
	if custom.cleanup != nil {
		defer custom.cleanup(suite.Config)
	}
	return m.Run(), nil
}

func suiteOf(t ct.TestLike) *process.Suite {
	t.Helper()
	if suite == nil {
		ct.Fatalf(t, "the package's TestMain does not call complement.TestMain")
	}
	return suite
}
