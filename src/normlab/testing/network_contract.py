"""Tests that a network of your own can be compared: subclass `NetworkContract`.

    from normlab.testing import NetworkContract

    class TestPlain(NetworkContract):
        factory = staticmethod(plain)

A factory is a function of num_classes, norm and generator; see normlab.networks.base.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from normlab.networks.view import NetworkView, inspect_network
from normlab.norms.spec import parse_norm

_CLASSES = 7


class NetworkContract:
    """What every network of a study must do; set `factory`, and the rest where it differs."""

    factory: ClassVar[Any]
    """The function, as `staticmethod(function)`."""
    options: ClassVar[Mapping[str, object]] = {}
    """Given to it beside num_classes, norm and generator."""
    image_sizes: ClassVar[tuple[int, int]] = (32, 48)
    """Two sides of square images that it must take."""
    norms: ClassVar[tuple[str, str]] = ("bn", "gn:groups=2")
    """Two norms that it must tell apart; the second one not over the batch."""

    def make(self, norm: str = "bn", num_classes: int = _CLASSES, seed: int = 0) -> nn.Module:
        """A network whose weights come from a generator with this seed, as in a study."""
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            made: nn.Module = self.factory(
                num_classes=num_classes,
                norm=parse_norm(norm),
                generator=generator,
                **self.options,
            )
        return made

    def images(self, size: int | None = None) -> Tensor:
        """Four images of random pixels."""
        side = size or self.image_sizes[0]
        return torch.randn(4, 3, side, side, generator=torch.Generator().manual_seed(1))

    def view(self, norm: str = "bn") -> NetworkView:
        """What a forward pass shows of the network."""
        return inspect_network(self.make(norm), self.images())

    def test_it_is_a_module_with_parameters(self) -> None:
        """There is something to train."""
        network = self.make()
        assert isinstance(network, nn.Module)
        assert any(parameter.requires_grad for parameter in network.parameters())

    def test_images_give_one_logit_for_each_class(self) -> None:
        """The output has the width `num_classes`, whatever that is."""
        for num_classes in (2, _CLASSES):
            logits = self.make(num_classes=num_classes)(self.images())
            assert logits.shape == (4, num_classes)

    def test_it_takes_images_of_two_sizes(self) -> None:
        """No layer is made for one size of images."""
        for size in self.image_sizes:
            assert self.make()(self.images(size)).shape == (4, _CLASSES)

    def test_its_norms_are_made_by_the_norm_that_it_is_given(self) -> None:
        """Two norms give other layers in the same places."""
        first, second = (self.view(norm).norm_sites for norm in self.norms)
        assert first, "no layer of norm.make(channels) took part in the forward pass"
        assert [site.name for site in first] == [site.name for site in second]
        kinds = [(a.facts.kind, b.facts.kind) for a, b in zip(first, second, strict=True)]
        assert all(a != b for a, b in kinds), f"the norm is ignored somewhere: {kinds}"

    def test_equal_generators_give_equal_weights(self) -> None:
        """A block's arms and a continued run start from the same bits."""
        one, same, other = (list(self.make(seed=seed).parameters()) for seed in (0, 0, 1))
        assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
        assert any(not torch.equal(a, b) for a, b in zip(one, other, strict=True))

    def test_its_arms_start_from_equal_weights(self) -> None:
        """Convolutions and linear layers do not depend on the norm."""
        weights = []
        for norm in self.norms:
            modules = self.make(norm).modules()
            weights.append([m.weight for m in modules if isinstance(m, (nn.Conv2d, nn.Linear))])
        assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))

    def test_the_global_generator_is_not_needed(self) -> None:
        """Random numbers that were drawn elsewhere change no weight."""
        torch.manual_seed(1)
        first = list(self.make().parameters())
        torch.manual_seed(2)
        assert all(torch.equal(a, b) for a, b in zip(first, self.make().parameters(), strict=True))

    def test_it_has_a_head_over_penultimate_features(self) -> None:
        """Layer diagnostics find what the classifier reads."""
        head = self.view().head
        assert head is not None, "no linear layer or convolution gives the logits"
        assert head.features > 0

    def test_every_parameter_gets_a_gradient(self) -> None:
        """No parameter is left out of the forward pass."""
        network = self.make()
        network(self.images()).square().sum().backward()
        without = [name for name, p in network.named_parameters() if p.grad is None]
        assert not without, f"these take no part in the forward pass: {without}"
