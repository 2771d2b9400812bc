import ctypes, mmap
def f(x):
    # mov eax, edi; add eax, eax; ret
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(b'\x89\xf8\x01\xc0\xc3')
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(address)(x)
