"""Read other recordings than HAR: cassettes of VCR.py and similar libraries, flow files of mitmproxy."""
