"""What bench/servers.py needs: the web servers, a load, a scratch database, and trials of what servers stumble over."""
