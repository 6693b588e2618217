package keyward

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// freshness is how long a token that was read from a file is taken without a look whether the file has changed.
const freshness = time.Second

// tokenSource gives the caller's own token.
type tokenSource interface {
	// get gives the token of a call; empty where the caller has none.
	get(context.Context) (string, error)
	// refused tells that the token was refused, and whether there may be another one now.
	refused(token string) bool
}

func newTokenSource(o *Options) (tokenSource, error) {
	given := 0
	for _, isGiven := range []bool{o.Token != "", o.TokenFile != "", o.TokenFunc != nil} {
		if isGiven {
			given++
		}
	}
	switch {
	case given > 1:
		return nil, errors.New("keyward: give one of Token, TokenFile and TokenFunc")
	case o.TokenFile != "":
		file := &tokenFile{path: o.TokenFile}
		return file, file.look()
	case o.TokenFunc != nil:
		return tokenFunc(o.TokenFunc), nil
	}
	return staticToken(o.Token), checkSendable(o.Token)
}

// checkSendable lets through what a header can carry. The library's own refusal might quote the token.
func checkSendable(token string) error {
	for _, char := range []byte(token) {
		if char < 0x20 || char > 0x7e {
			return errors.New("keyward: the caller's token holds characters that no header can carry")
		}
	}
	return nil
}

type staticToken string

func (t staticToken) get(context.Context) (string, error) { return string(t), nil }
func (t staticToken) refused(string) bool                 { return false }

type tokenFunc func(context.Context) (string, error)

func (f tokenFunc) get(ctx context.Context) (string, error) {
	token, err := f(ctx)
	if err != nil {
		return "", err
	}
	return token, checkSendable(token)
}

func (f tokenFunc) refused(string) bool { return true }

// tokenFile is a file that holds the token.
type tokenFile struct {
	path string

	mu       sync.Mutex
	token    string
	info     os.FileInfo
	lookedAt time.Time
}

func (f *tokenFile) get(context.Context) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.lookedAt) > freshness {
		f.lookAgain()
	}
	return f.token, nil
}

func (f *tokenFile) refused(token string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lookAgain()
	return f.token != token
}

// lookAgain: a file that is being replaced may not be there for a moment. The token from before goes on until it is.
func (f *tokenFile) lookAgain() {
	if err := f.look(); err != nil {
		f.lookedAt = time.Now()
	}
}

func (f *tokenFile) look() error {
	info, err := os.Stat(f.path)
	if err != nil {
		return fmt.Errorf("keyward: TokenFile: %w", err)
	}
	isSame := f.info != nil && os.SameFile(f.info, info) && f.info.ModTime().Equal(info.ModTime()) &&
		f.info.Size() == info.Size()
	if !isSame {
		content, err := os.ReadFile(f.path)
		if err != nil {
			return fmt.Errorf("keyward: TokenFile: %w", err)
		}
		token := strings.TrimSpace(string(content))
		if token == "" {
			return fmt.Errorf("keyward: TokenFile: %s holds no token", f.path)
		}
		if err := checkSendable(token); err != nil {
			return err
		}
		f.token, f.info = token, info
	}
	f.lookedAt = time.Now()
	return nil
}
