// Package liveness finds out connections that are dead though nobody says so: behind a network that swallows everything, or
// to a process that stands still. gRPC asks for a sign of life every 10 seconds at most, which is longer than most calls may
// take.
package liveness

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/credentials"
)

// watchFor is for how long after something was sent a connection is watched. After that long, gRPC itself asks for a sign of
// life if any call is under way, and so sends something.
const watchFor = 11 * time.Second

// Watch makes credentials whose connections are asked for a sign of life where something was sent, and nothing has come for
// `quiet`. They are closed if nothing comes for another `timeout`.
func Watch(of credentials.TransportCredentials, quiet, timeout time.Duration) credentials.TransportCredentials {
	return watching{TransportCredentials: of, quiet: quiet, timeout: timeout}
}

type watching struct {
	credentials.TransportCredentials
	quiet, timeout time.Duration
}

// ClientHandshake is that of the credentials. What is sent over the connection that it gives is HTTP/2.
func (w watching) ClientHandshake(
	ctx context.Context, authority string, raw net.Conn,
) (net.Conn, credentials.AuthInfo, error) {
	secured, info, err := w.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err != nil {
		return nil, nil, err
	}
	return newConn(secured, w.quiet, w.timeout), info, nil
}

// Clone makes a copy.
func (w watching) Clone() credentials.TransportCredentials {
	return Watch(w.TransportCredentials.Clone(), w.quiet, w.timeout)
}

// conn is a connection that is watched.
type conn struct {
	net.Conn
	quiet, timeout time.Duration

	// writing is held while something is sent, and guards frames.
	writing sync.Mutex
	frames  frames
	// isDue is true while a sign of life is to be asked for as soon as a frame is complete.
	isDue atomic.Bool

	mu    sync.Mutex
	timer *time.Timer
	// isWatched is true while the timer runs.
	isWatched bool
	// isAsked is true if nothing has come since a sign of life was asked for.
	isAsked    bool
	quietSince time.Time
	sentAt     time.Time
}

func newConn(of net.Conn, quiet, timeout time.Duration) *conn {
	c := &conn{Conn: of, quiet: quiet, timeout: timeout, frames: newFrames()}
	c.timer = time.AfterFunc(quiet, c.look)
	c.timer.Stop()
	return c
}

func (c *conn) Read(data []byte) (int, error) {
	n, err := c.Conn.Read(data)
	if n > 0 {
		c.mu.Lock()
		c.isAsked = false
		c.quietSince = time.Now()
		c.mu.Unlock()
	}
	return n, err
}

func (c *conn) Write(data []byte) (int, error) {
	c.watch()
	c.writing.Lock()
	n, err := c.Conn.Write(data)
	c.frames.sent(data[:n])
	c.writing.Unlock()
	c.askIfDue()
	return n, err
}

func (c *conn) Close() error {
	c.mu.Lock()
	c.timer.Stop()
	c.mu.Unlock()
	return c.Conn.Close()
}

func (c *conn) watch() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sentAt = time.Now()
	if c.isWatched {
		return
	}
	c.isWatched = true
	c.isAsked = false
	c.quietSince = c.sentAt
	c.timer.Reset(c.quiet)
}

// look is what the timer does.
func (c *conn) look() {
	c.mu.Lock()
	now := time.Now()
	left := c.quiet - now.Sub(c.quietSince)
	switch {
	case c.isAsked:
		c.mu.Unlock()
		// gRPC finds its connection broken, and makes another one.
		_ = c.Conn.Close()
		return
	case left > 0:
		c.timer.Reset(left)
	case now.Sub(c.sentAt) > watchFor:
		c.isWatched = false
	default:
		c.isAsked = true
		c.isDue.Store(true)
		c.timer.Reset(c.timeout)
	}
	c.mu.Unlock()
	c.askIfDue()
}

// askIfDue sends a PING, unless somebody else is sending, who will do it then, or is in the middle of a frame.
func (c *conn) askIfDue() {
	for c.isDue.Load() && c.writing.TryLock() {
		isPossible := c.frames.atBoundary()
		if isPossible && c.isDue.Swap(false) {
			// How it fails, gRPC learns with what it sends or reads next.
			_, _ = c.Conn.Write(pingFrame)
		}
		c.writing.Unlock()
		if !isPossible {
			return
		}
	}
}
