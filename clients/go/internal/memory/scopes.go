package memory

import "strings"

// coverAll tells whether what is granted includes all of some scopes.
func coverAll(granted, scopes []string) bool {
	for _, scope := range scopes {
		if !covers(granted, scope) {
			return false
		}
	}
	return true
}

// covers tells whether what is granted includes one scope: by the same text, by `*`, or by a granted scope ending in
// `.*`, `:*` or `/*` whose beginning it shares.
func covers(granted []string, scope string) bool {
	for _, own := range granted {
		if own == "*" || own == scope {
			return true
		}
		family, isFamily := strings.CutSuffix(own, "*")
		if isFamily && family != "" && strings.ContainsRune(".:/", rune(family[len(family)-1])) &&
			strings.HasPrefix(scope, family) {
			return true
		}
	}
	return false
}
