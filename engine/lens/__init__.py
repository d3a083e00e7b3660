"""The lens: PCA and a learned linear adaptation; how it is trained and applied."""
