# limits: {"scratch_mb": 4}
import os, tempfile
def f(x):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'x')
        with open(path, 'w') as file:
            file.write(str(2 * x))
        os.replace(path, path + '2')
        with open(path + '2') as file:
            return int(file.read())
