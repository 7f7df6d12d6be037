"""Signing in."""

from django import forms
from django.contrib.auth.forms import AuthenticationForm, UsernameField


class SignInForm(AuthenticationForm):
    """Ask for e-mail address and password; every refusal reads the same."""

    username = UsernameField(
        label="E-mail address",
        widget=forms.EmailInput(attrs={"autofocus": True, "aria-describedby": "problem", "spellcheck": "false"}),
    )
    error_messages = {  # noqa: RUF012 (Django declares it as an instance's attribute)
        "invalid_login": "Unknown e-mail address or wrong password.",
        "inactive": "Unknown e-mail address or wrong password.",
    }
