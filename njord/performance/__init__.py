"""How it went: the only home of every ratio.

An equity curve (times in ns, equity in the report asset) and a list of fills come in; returns, ratios, drawdowns,
round trips and one `Summary` go out. Money is exact `Decimal` in `trades`, everything else is a float64 statistic.
Whatever is not defined (a Sharpe ratio without deviation, a win rate without trades) is NaN, never 0.

    returns     equity curve -> period returns, day closes, months      ratios     Sharpe, Sortino, volatility, CAGR, Calmar
    drawdown    depth, its times, time under water                      trades     FIFO round trips and their statistics
    selection   PSR, DSR, MinTRL, the best by luck               overfitting   PBO by CSCV
    assessment  the verdict on the best of all trials
    streaming   all of a curve's figures, chunk by chunk                summary    one struct with everything a report shows
"""
