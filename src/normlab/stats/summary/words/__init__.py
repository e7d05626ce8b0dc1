"""The analysis of a study in words: what is seen, why it may be so, and what to try.

A sentence is there only when its evidence is. The rule is one for all of them: a difference is said
to be there where its interval over blocks leaves out zero. The interval is a paired t interval at
1 − α/m, m the comparisons that one sentence makes (Bonferroni), so a sentence is wrong in at most
α of all studies; nothing is corrected over sentences, and the verdict alone decides.
"""
