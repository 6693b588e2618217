package keyward

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"unicode/utf8"

	"keyward.dev/keyward/internal/memory"
)

const (
	// maxTextBytes is how long a text may be that may be a token.
	maxTextBytes  = 1024
	maxScopes     = 64
	maxScopeBytes = 128
	saltBytes     = 16
)

// canBeToken tells whether a text may be one at all: over 1 KiB, or what is no UTF-8, none is.
func canBeToken(text string) bool {
	return len(text) <= maxTextBytes && utf8.ValidString(text)
}

// textKeys makes the keys of one memory, so that what it holds matches nothing that others hold.
type textKeys struct {
	salt [saltBytes]byte
}

func newTextKeys() textKeys {
	var keys textKeys
	_, _ = rand.Read(keys.salt[:])
	return keys
}

func (k *textKeys) of(text string) memory.Key {
	var salted [saltBytes + maxTextBytes]byte
	length := copy(salted[:], k.salt[:])
	length += copy(salted[length:], text)
	return sha256.Sum256(salted[:length])
}

// areScopes tells whether the service would take these.
func areScopes(scopes []string) bool {
	if len(scopes) > maxScopes {
		return false
	}
	for _, scope := range scopes {
		if !isScope(scope) {
			return false
		}
	}
	return true
}

// checkScopes refuses what the service would refuse.
func checkScopes(scopes []string) error {
	if areScopes(scopes) {
		return nil
	}
	var violations []Violation
	if len(scopes) > maxScopes {
		violations = append(violations, Violation{Field: "scopes", Rule: fmt.Sprintf("must be at most %d", maxScopes)})
	}
	for at, scope := range scopes {
		if !isScope(scope) {
			violations = append(violations, Violation{
				Field: fmt.Sprintf("scopes[%d]", at),
				Rule:  "must be 1 to 128 characters of [a-z0-9_.:/*-]",
			})
		}
	}
	return invalidRequest(violations)
}

func isScope(scope string) bool {
	if len(scope) == 0 || len(scope) > maxScopeBytes {
		return false
	}
	for at := range len(scope) {
		char := scope[at]
		isLetter := 'a' <= char && char <= 'z' || '0' <= char && char <= '9'
		if !isLetter && char != '_' && char != '.' && char != ':' && char != '/' && char != '*' && char != '-' {
			return false
		}
	}
	return true
}
