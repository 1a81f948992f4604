"""Keeping the platform in service: backups, status, checks, alerts, retention."""
