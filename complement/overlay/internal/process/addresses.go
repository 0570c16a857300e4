package process

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
)

var addressCounter atomic.Uint32

// freeAddress returns a loopback address that nobody uses, so that every server can have the ports that Matrix names.
//
// The whole of 127.0.0.0/8 is this machine on Linux. The second byte comes from the process and the others from a counter,
// which keeps test packages that run at the same time apart; the probe is for what this does not see.
func freeAddress() (string, error) {
	var last error
	for range 100 {
		n := addressCounter.Add(1) - 1
		address := fmt.Sprintf("127.%d.%d.%d", 1+os.Getpid()%254, n/254%256, 1+n%254)
		if last = probe(address); last == nil {
			return address, nil
		}
	}
	return "", fmt.Errorf("no free loopback address: %w", last)
}

func probe(address string) error {
	var problems []error
	for _, port := range []int{clientPort, federationPort} {
		listener, err := net.Listen("tcp", fmt.Sprintf("%s:%d", address, port))
		if err != nil {
			problems = append(problems, err)
			continue
		}
		problems = append(problems, listener.Close())
	}
	return errors.Join(problems...)
}
