"""The admin site: version-safe, inside one tenant, and quick on a million rows."""
