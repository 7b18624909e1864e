"""How many lots are ahead of a resting order after its level changed? An order joins behind what its level shows.

Trades at its price shorten the queue lot by lot in every model (`exchange_fills`). The models differ in what they think
of a level that shrank by more than was traded there: somebody canceled, ahead of us or behind us, and a feed of levels
does not say which. Without any book the queue is unknown: such an order is never filled at its own price, only when a
trade goes through it.
"""

from njord.kernels._jit import bare_kernel

# Cancels are all behind us; the queue is only cut to what the level shows. Source: Rigtorp, E. (2013), "Estimating order
# queue position", rigtorp.se/2013/06/08/estimating-order-queue-position.html: the pessimistic end of his range.
RISK_AVERSE = 0
# Cancels fall ahead of us or behind us by the odds ahead^n to behind^n, with n = 2: the longer part of the queue loses
# more. Source: the same article for f(behind) / (f(behind) + f(ahead)); f(x) = x^n is hftbacktest's power probability
# queue model, whose estimates these are to the last bit.
PROBABILITY = 1


@bare_kernel
def ahead_after(model: int, ahead: float, traded: float, old: int, new: int) -> float:
    """Return the lots ahead of an order after its level went from `old` to `new` lots.

    Args:
        model: RISK_AVERSE or PROBABILITY.
        ahead: Lots ahead before, those traded since already gone; infinite where nothing was known.
        traded: Lots traded at the price since the level's last change: what they explain is no cancel.
        old: The level before.
        new: The level after.

    Returns:
        At most `new`. May fall below 0 by the model's rounding: nothing is ahead then.
    """
    canceled = old - new - traded
    if model == RISK_AVERSE or canceled < 0 or ahead > old:
        return min(ahead, float(new))
    behind = old - ahead
    squares = behind * behind + ahead * ahead
    share_behind = behind * behind / squares if squares > 0 else 1.0
    return min(ahead - (1 - share_behind) * canceled + min(behind - share_behind * canceled, 0.0), float(new))
