"""Certificates: who says what about which bytes, and how anyone checks it offline."""
