"""Why a training went as it did: what its probes measured, in bands, and what follows, in words."""
