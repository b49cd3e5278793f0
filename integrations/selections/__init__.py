"""What is protected, and how large it is: selection definitions, inventories, and the measuring of one by the other.

``definitions.read_definition`` reads what a selection holds (``.SEL`` files, restic's and borg's lists, plain paths),
``inventory.read_inventory`` reads a listing of files, ``measuring.measure`` puts them together. Everything here is
pure: bytes in, values out, no clock. Definitions and listings come from clients and are taken for hostile: expressions
run on a linear-time engine, lines and numbers are bounded, memory does not grow with the number of files.
"""
