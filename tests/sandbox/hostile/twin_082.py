import os, shutil, tempfile
def f(x):
    with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile("w+") as file:
        file.write("2" * x)
        file.flush()
        copy = shutil.copy(file.name, folder)
        os.chmod(copy, 0o755)
        return sum(int(digit) for digit in open(copy).read())
