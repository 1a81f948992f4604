"""What readers use instead of the warehouse: profile documents and a snapshot."""
