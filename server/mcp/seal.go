package mcp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
)

// sealer encrypts what a client carries for us and cannot be trusted with.
type sealer struct {
	aead cipher.AEAD
	rand io.Reader
}

// newSealer takes any secret; nil makes one that lives as long as the process.
func newSealer(secret []byte, rand io.Reader) (*sealer, error) {
	if secret == nil {
		secret = make([]byte, 32)
		if _, err := io.ReadFull(rand, secret); err != nil {
			return nil, fmt.Errorf("request states: %w", err)
		}
	}
	key := sha256.Sum256(append([]byte("paygate request state "), secret...))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("request states: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("request states: %w", err)
	}
	return &sealer{aead: aead, rand: rand}, nil
}

func (s *sealer) close(v any) (string, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("request state: %w", err)
	}
	nonce := make([]byte, s.aead.NonceSize())
	if _, err := io.ReadFull(s.rand, nonce); err != nil {
		return "", fmt.Errorf("request state: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nonce, nonce, text, nil)), nil
}

// open says whether the text was made by close and reads it.
func (s *sealer) open(text string, v any) bool {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) < s.aead.NonceSize() {
		return false
	}
	n := s.aead.NonceSize()
	plain, err := s.aead.Open(nil, raw[:n], raw[n:], nil)
	return err == nil && json.Unmarshal(plain, v) == nil
}

func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_, _ = fmt.Fprintf(h, "%d:%s", len(p), p) // a hash takes everything
	}
	return hex.EncodeToString(h.Sum(nil))
}
