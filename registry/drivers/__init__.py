"""The outside: mail.py (letters over SMTP or into a folder), keyfile.py (the registry's key)."""
