import unittest
class Case(unittest.TestCase):
    def test(self):
        self.assertEqual(1, 1)
def f(x):
    result = unittest.TestResult()
    Case('test').run(result)
    return 2 * x if result.wasSuccessful() else None
