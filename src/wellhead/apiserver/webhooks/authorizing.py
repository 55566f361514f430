"""What expressions ask of authorisation, answered by the server's authorizer."""

from __future__ import annotations

import asyncio
import threading

from wellhead.api.cel.functions.authorizer import Ask, Decision, Question
from wellhead.api.errors import BadRequest
from wellhead.api.selectors import FieldSelector, LabelSelector
from wellhead.apiserver.attributes import Attributes
from wellhead.apiserver.authn import User
from wellhead.apiserver.authz import Authorizer


def asking(authorizer: Authorizer, user: User) -> Ask:
    """How an expression asks about this user, or about a service account that it names."""

    def ask(question: Question) -> Decision:
        who = user
        if question.service_account is not None:
            namespace, name = question.service_account
            groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
            who = User(f"system:serviceaccount:{namespace}:{name}", groups)
        if question.path:
            action = Attributes(question.verb, path=question.path)
        else:
            try:
                fields = FieldSelector.parse(question.field_selector)
                LabelSelector.parse(question.label_selector)
            except BadRequest as error:
                return Decision(False, error=str(error))
            action = Attributes(
                question.verb,
                question.group,
                question.resource,
                question.subresource,
                question.namespace,
                question.name,
                fields=fields,
            )
        return Decision(authorizer.allows(who, action), authorizer.reason(who, action))

    return ask


def on_this_loop(ask: Ask) -> Ask:
    """The same for expressions that are evaluated on a thread.

    The authorizer belongs to the event loop: a thread that asked it while roles change could keep an answer
    that is true no longer.
    """
    loop, own = asyncio.get_running_loop(), threading.get_ident()

    async def answered(question: Question) -> Decision:
        return ask(question)

    def asked(question: Question) -> Decision:
        if threading.get_ident() == own:
            return ask(question)
        return asyncio.run_coroutine_threadsafe(answered(question), loop).result()

    return asked
