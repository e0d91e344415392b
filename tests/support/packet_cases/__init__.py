"""Frames and what parse_packet must say of each, by rule. gen_packet_cases.py collects them."""
