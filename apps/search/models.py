"""The search index: what each entity contributes, the tenant's words, and where each word occurs.

A change of an entity writes its document, in the same transaction, and nothing that other entities' changes write.
Such documents are pending; `merging` brings them into the postings, a few hundred at a time. A search reads the
postings and the pending documents in one snapshot, and so sees exactly what is committed.
"""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from apps.accounts.constraints import not_blank
from apps.accounts.records import TenantOwned
from apps.accounts.tenancy import TenantManager

from .synonyms import phrase

MAX_NUMBER = 2**32 - 1
"""Bitmaps hold numbers of 32 bits."""


class Document(models.Model):
    """What one entity contributes: its words, each with its weight before it (`a:valve`).

    The id is the number by which the postings know it; a later one belongs to a newer entity.
    """

    id = models.BigAutoField(primary_key=True)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, db_index=False, related_name="+")
    kind = models.CharField(max_length=30, help_text="The entity's model.")
    entity_id = models.BigIntegerField()
    words = ArrayField(
        models.TextField(), null=True, help_text="What it contributes now; NULL when the entity is gone."
    )
    merged = ArrayField(models.TextField(), default=list, help_text="While it is pending: what the postings say of it.")
    pending = models.BooleanField(default=True)

    objects = TenantManager["Document"]()

    class Meta:
        """One for each entity; the pending ones are found at once."""

        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "kind", "entity_id"], name="document_entity_unique"),
            models.CheckConstraint(condition=Q(id__lte=MAX_NUMBER), name="document_number_fits"),
        ]
        indexes: ClassVar = [models.Index(fields=["tenant", "id"], name="document_pending", condition=Q(pending=True))]

    def __str__(self) -> str:
        """Return which entity it is of."""
        return f"{self.kind}:{self.entity_id}"


class Word(models.Model):
    """A word of a tenant's texts; `re*` stands for all that begin so, `#Task` for being a task."""

    id = models.BigAutoField(primary_key=True)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, db_index=False, related_name="+")
    text = models.CharField(max_length=40, db_collation="C")
    stem = models.CharField(max_length=40, blank=True)
    keys = ArrayField(models.BigIntegerField(), default=list, help_text="What misspellings of it have in common.")

    objects = TenantManager["Word"]()

    class Meta:
        """Found by the word, by its beginning, by its stem and by what misspellings have in common."""

        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "text"], name="word_unique"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "stem"], name="word_stem"),
            GinIndex(fields=["keys"], name="word_keys", fastupdate=False),
        ]

    def __str__(self) -> str:
        """Return the word."""
        return self.text


class Posting(models.Model):
    """The documents of a chunk in which a word occurs with one weight: a Roaring bitmap of their numbers."""

    pk = models.CompositePrimaryKey("tenant", "word_id", "weight", "chunk")
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, db_index=False, related_name="+")
    word_id = models.BigIntegerField(help_text="No foreign key: it would be checked for each of thousands of rows.")
    weight = models.CharField(max_length=1)
    chunk = models.IntegerField()
    numbers = models.BinaryField()

    objects = TenantManager["Posting"]()

    def __str__(self) -> str:
        """Return whose posting it is."""
        return f"{self.word_id}/{self.weight}/{self.chunk}"


class Index(models.Model):
    """The state of a tenant's postings: another one after each merge."""

    tenant = models.OneToOneField("accounts.Tenant", models.CASCADE, primary_key=True, related_name="+")
    state = models.UUIDField()
    built_at = models.DateTimeField(null=True, help_text="When it was last built from all that there was.")

    objects = TenantManager["Index"]()

    def __str__(self) -> str:
        """Return whose index it is."""
        return str(self.tenant_id)


class Synonym(TenantOwned):
    """A word of the trade and what it means: vlv is a valve.

    A tenant's meanings of a term take the place of the built-in ones; a term that means nothing is no synonym.
    """

    public_text = ("term", "meaning")

    term = models.CharField(max_length=40, help_text="What people write: vlv, a/c.")
    meaning = models.CharField(
        max_length=80,
        blank=True,
        help_text="What it means, in full. Empty: it means nothing else, whatever is built in.",
    )

    class Meta(TenantOwned.Meta):
        """A term may mean several things."""

        ordering = ("term", "meaning")
        constraints: ClassVar = [
            *TenantOwned.Meta.constraints,
            models.UniqueConstraint(fields=["tenant", "term", "meaning"], name="synonym_unique"),
            not_blank("term", "synonym_term_not_blank"),
        ]

    def __str__(self) -> str:
        """Return both."""
        return f"{self.term} = {self.meaning}"

    def clean(self) -> None:
        """Refuse what holds no word, by which nothing could be found: `--`."""
        super().clean()
        problems = {}
        if self.term and not phrase(self.term):
            problems["term"] = "Write a word: there is neither a letter nor a digit in it."
        if self.meaning.strip() and not phrase(self.meaning):
            problems["meaning"] = "Write a word, or nothing: there is neither a letter nor a digit in it."
        if problems:
            raise ValidationError(problems)
