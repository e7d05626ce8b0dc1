"""Networks of other libraries: timm, torchvision, Hugging Face, and functions of one's own."""
