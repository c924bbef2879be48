"""Recordings of other tools that are no HAR: cassettes of VCR.py and its kin, flow files of mitmproxy."""
