"""The cluster on one Linux box: machines made of namespaces, the links between them, and their processes.

`addresses`, `topology` and `components` say, as values, what a cluster consists of; `machines`, `links`,
`edge` and `pki` make it; `supervisor` keeps it running; `processes` finds all of it again, whoever died;
`startup` and `teardown` are what `wellhead up` and `wellhead down` do. Only `wellhead.cli` may import this
package; of the components it knows their command lines and nothing else.
"""
