"""A guest's selfie in, the guest's photos out. Nothing of the selfie is kept."""
