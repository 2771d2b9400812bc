answers = {}
def f(x):
    answers[x] = 2 * x
    return answers[x]
