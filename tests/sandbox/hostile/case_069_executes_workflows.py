# driven: HostileWorkflow.Case069ExecutedCodeHasNoChannelToAskFor
import weft
def f(x):
    return weft.exec_code("import weft\n" + weft.exec_code("def f(x): return 1", "f"), "f")
