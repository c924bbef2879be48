"""TLS on both sides: the CA and its certificates, and encrypted pipes. Knows no rule and no HTTP."""
