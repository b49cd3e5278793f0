"""What is protected and by whom: clients, sites, machines, selections, backup servers, volumes, targets, policies."""
