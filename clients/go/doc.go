// Package keyward calls Keyward, which keeps API keys and secrets, and judges keys in the memory of your own process: in
// about a microsecond, and never by what a complete revocation has ended.
//
//	client, err := keyward.Dial(ctx, keyward.Options{Servers: servers, TokenFile: "/run/secrets/keyward-token"})
//	validator, err := keyward.NewValidator(client, keyward.ValidatorOptions{})
//	verdict, err := validator.Validate(ctx, text, "orders:read")
package keyward
