package keyward

import (
	"io"
	"net"
	"sync"
	"testing"
)

// proxy stands between a client and a replica.
type proxy struct {
	address string
	target  string

	mu       sync.Mutex
	conns    map[net.Conn]bool
	isSilent bool
	// isAbsent is true while new connections are refused.
	isAbsent bool
	accepted int
}

func startProxy(t *testing.T, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{address: listener.Addr().String(), target: target, conns: map[net.Conn]bool{}}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { p.serve(near) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		p.cut()
		serving.Wait()
	})
	return p
}

func (p *proxy) serve(near net.Conn) {
	far, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = near.Close()
		return
	}
	p.mu.Lock()
	isAbsent := p.isAbsent
	p.conns[near], p.conns[far] = true, true
	p.accepted++
	p.mu.Unlock()
	if isAbsent {
		_, _ = near.Close(), far.Close()
	}
	var forwarding sync.WaitGroup
	forwarding.Go(func() { p.forward(near, far) })
	forwarding.Go(func() { p.forward(far, near) })
	forwarding.Wait()
	p.mu.Lock()
	delete(p.conns, near)
	delete(p.conns, far)
	p.mu.Unlock()
}

func (p *proxy) forward(from, to net.Conn) {
	defer func() { _, _ = from.Close(), to.Close() }()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		p.mu.Lock()
		isSilent := p.isSilent
		p.mu.Unlock()
		if err != nil {
			return
		}
		if isSilent {
			// It is swallowed, and so is all that follows.
			_, _ = io.Copy(io.Discard, from)
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// cut ends all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		_ = conn.Close()
	}
}

// silence swallows everything from now on, until it is over, and tells nobody.
func (p *proxy) silence(isSilent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.isSilent = isSilent
}

// refuse ends all connections, and refuses new ones until it is over.
func (p *proxy) refuse(isAbsent bool) {
	p.mu.Lock()
	p.isAbsent = isAbsent
	p.mu.Unlock()
	p.cut()
}

func (p *proxy) acceptedCount() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}
